story Parked by one, picked up by another
call A session=900000009021 direction=in from=+14155550123 to=+16505551001

| time  | extension | call | status        |
| +0    | 2001      | A    | Ringing       |
| +2    | 2001      | A    | CallConnected |
| +10   | 2001      | A    | ParkedCall    |
| +25   | 2002      | A    | CallConnected |
| +25.1 | 2001      | A    | NoCall        |
| +45   | 2002      | A    | NoCall        |

expect 1 call
  A disposition=answered ring=2 talk=28 hold=15 started=+0 answered=+2 ended=+45 legs=2 ext=2001
