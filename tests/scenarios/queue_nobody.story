story A queue rings two agents at once and neither answers
call A session=900000013221 direction=in from=+14155550123 to=+16505550900 queue

| time   | extension | call | status  |
| +0     | 2001      | A    | Ringing |
| +0.05  | 2002      | A    | Ringing |
| +15    | 2001      | A    | NoCall  |
| +15.05 | 2002      | A    | NoCall  |

expect 1 call
  A disposition=missed ring=15.05 talk=0 queue=1 legs=2 ext=2001 ended=+15.05
