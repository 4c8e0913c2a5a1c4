story Two devices of one user: a NoCall without a reason comes between two rings
call A session=900000014021 direction=in from=+14155550123 to=+16505551001

| time  | extension | seq | call | status        | notes                      |
| +0    | 2001      | 10  | A    | Ringing       | id=leg-A                   |
| +9    | 2001      | 11  | A    | NoCall        | id=leg-A termination=none  |
| +9.2  | 2001      | 12  | A    | Ringing       | id=leg-B                   |
| +12   | 2001      | 20  | A    | CallConnected | id=leg-B                   |
| +42.5 | 2001      | 31  | A    | NoCall        | id=leg-B                   |

expect 1 call
  A disposition=answered ring=12 talk=30.5 hold=0 legs=2 started=+0 answered=+12 ended=+42.5
