story A queue rings four agents at once; one answers, the others are released
call A session=900000013121 direction=in from=+14155550123 to=+16505550900 queue

| time  | extension | call | status        |
| +0    | 2001      | A    | Ringing       |
| +0.01 | 2002      | A    | Ringing       |
| +0.02 | 2003      | A    | Ringing       |
| +0.03 | 2004      | A    | Ringing       |
| +8    | 2003      | A    | CallConnected |
| +8.05 | 2001      | A    | NoCall        |
| +8.06 | 2002      | A    | NoCall        |
| +8.07 | 2004      | A    | NoCall        |
| +30   | 2003      | A    | NoCall        |

expect 1 call
  A disposition=answered ring=8 talk=22 queue=1 legs=4 ext=2003 started=+0 answered=+8 ended=+30
