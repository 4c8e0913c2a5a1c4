story The end arrives before the answer: the answer still counts
call A session=900000020521 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +4   | 2001      | A    | CallConnected |
| +19  | 2001      | A    | NoCall        |

order 1 3 2

expect 1 call
  A disposition=answered ring=4 talk=15 started=+0 answered=+4 ended=+19 legs=1
ignored
  stale_sequence=1
