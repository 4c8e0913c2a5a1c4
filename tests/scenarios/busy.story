story The other side is busy
call A session=900000007021 direction=out from=+16505551001 to=+14155550123

| time | extension | call | status  |
| +0   | 2001      | A    | Ringing |
| +1.5 | 2001      | A    | NoCall  |

log A result=Busy duration=1.5

expect 1 call
  A disposition=no_answer ring=1.5 talk=0
confirmed
  A disposition=busy result=Busy
