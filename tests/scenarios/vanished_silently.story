# B is simply gone from the next event. That is no end; the platform's books tell it.
story A call vanishes without a NoCall
call A session=900000027021 direction=in from=+14155550123 to=+16505551001
call B session=900000027121 direction=in from=+14155550456 to=+16505551001

| time | extension | call | status        |
| +0   | 2001      | B    | Ringing       |
| +5   | 2001      | B    | CallConnected |
| +10  | 2001      | A    | Ringing       |
|      |           | B    | CallConnected |
| +40  | 2001      | A    | NoCall        |

log A result=Missed duration=30 start=+10
log B result=Accepted duration=25 start=+0

expect 1 call
  A disposition=missed ring=30 talk=0
confirmed
  A disposition=missed result=Missed
  B disposition=answered result=Accepted started=+0 answered=+5 ended=+25 duration=25
