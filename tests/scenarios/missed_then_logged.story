story A missed call, confirmed by the log
call A session=900000001021 direction=in from=+14155550123 from-name="A Caller" to=+16505551001 to-name="Ann Archer"

| time   | extension | seq | call | status  | notes |
| +0     | 2001      | 501 | A    | Ringing |       |
| +18.25 | 2001      | 544 | A    | NoCall  |       |

log A result=Missed duration=18

expect 1 call
  A direction=in disposition=missed ring=18.25 talk=0 hold=0 duration=0 from=+14155550123 to=+16505551001 legs=1
  A from-name="A Caller" to-name="Ann Archer" started=+0 answered=none ended=+18.25 queue=0 ext=2001
confirmed
  A disposition=missed result=Missed
