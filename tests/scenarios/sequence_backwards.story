# The repeated Ringing happened before the answer and arrives after it.
story A smaller sequence is stale
call A session=900000020021 direction=in from=+14155550123 to=+16505551001

| time | extension | seq | call | status        |
| +0   | 2001      | 10  | A    | Ringing       |
| +3   | 2001      | 20  | A    | CallConnected |
| +1   | 2001      | 15  | A    | Ringing       |
| +9   | 2001      | 30  | A    | NoCall        |

expect 1 call
  A disposition=answered ring=3 talk=6 started=+0 answered=+3 ended=+9 legs=1
ignored
  stale_sequence=1
