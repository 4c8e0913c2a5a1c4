story An equal sequence is accepted
call A session=900000020121 direction=in from=+14155550123 to=+16505551001

| time | extension | seq | call | status        |
| +0   | 2001      | 10  | A    | Ringing       |
| +3   | 2001      | 10  | A    | CallConnected |
| +9   | 2001      | 10  | A    | NoCall        |

expect 1 call
  A disposition=answered ring=3 talk=6 ended=+9
