story A counter that begins anew, more than 60 s of server time later
call A session=900000020221 direction=in from=+14155550123 to=+16505551001

| time | extension | seq   | call | status        |
| +0   | 2001      | 50000 | A    | Ringing       |
| +5   | 2001      | 50100 | A    | CallConnected |
| +120 | 2001      | 3     | A    | NoCall        |

expect 1 call
  A disposition=answered ring=5 talk=115 ended=+120
