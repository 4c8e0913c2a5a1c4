story An intermediate NoCall is no end
call A session=900000015021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        | notes                    |
| +0   | 2001      | A    | Ringing       |                          |
| +5   | 2001      | A    | NoCall        | termination=intermediate |
| +40  | 2001      | A    | CallConnected |                          |
| +60  | 2001      | A    | NoCall        |                          |

expect 1 call
  A disposition=answered ring=40 talk=20 legs=1 started=+0 answered=+40 ended=+60
