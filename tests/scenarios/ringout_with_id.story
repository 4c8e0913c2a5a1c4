story A RingOut whose first event does bring its leg id
style 2015
start 2015-04-17T19:38:59.718Z
call A session=915021981017 direction=out from=16509540334 to=16502008440

| time  | extension | call | status        |
| +0    | 255537016 | A    | Ringing       |
| +8.5  | 255537016 | A    | CallConnected |
| +20.5 | 255537016 | A    | NoCall        |

expect 1 call
  A direction=out disposition=answered ring=8.5 talk=12 legs=1 from=+16509540334 to=+16502008440
