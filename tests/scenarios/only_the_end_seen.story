story The first thing heard of a call is its end
call A session=900000021021 direction=in from=+14155550123 to=+16505551001 start=none

| time | extension | call | status  |
| +45  | 2001      | A    | NoCall  |

log A result=Accepted duration=45 start=+0

expect 1 call
  A direction=in disposition=unknown ring=none talk=0 hold=none answered=none started=+45 ended=+45 legs=1
confirmed
  A disposition=answered result=Accepted duration=45 started=+0
