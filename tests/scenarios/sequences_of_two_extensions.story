story The counters of two extensions have nothing to do with each other
call A session=900000020421 direction=in from=+14155550123 to=+16505550900 queue

| time  | extension | seq    | call | status        |
| +0    | 2001      | 900000 | A    | Ringing       |
| +0.01 | 2002      | 12     | A    | Ringing       |
| +4    | 2002      | 13     | A    | CallConnected |
| +4.05 | 2001      | 900400 | A    | NoCall        |
| +14   | 2002      | 14     | A    | NoCall        |

expect 1 call
  A disposition=answered ring=4 talk=10 legs=2 ext=2002 ended=+14
