story The tutorial's flow 3: a RingOut whose first event has no leg id
style 2015
start 2015-04-17T19:38:59.718Z

call A session=915021981016 direction=out from=16509540334 to=16502008440 id=b5ea44d61b6a4658aadf948348db069c

| time         | extension | seq      | call | status        | notes                                           |
| 19:38:59.718 | 255537016 | 46061598 | A    | Ringing       | uuid=305b8075-5dad-4686-b22a-d26744802566 no-id |
| 19:39:12.950 | 255537016 | 46062162 | A    | CallConnected | uuid=71673991-dad0-4c8e-9c22-78b0244c790c       |
| 19:39:40.172 | 255537016 | 46063265 | A    | NoCall        | uuid=97b01949-1438-45f2-856a-54f89e83367f       |

expect 1 call
  A direction=out disposition=answered ring=13.232 talk=27.222 hold=0 duration=27.222 from=+16509540334 to=+16502008440
  A started=19:38:59.718 answered=19:39:12.950 ended=19:39:40.172 legs=1 ext=255537016 internal=0
