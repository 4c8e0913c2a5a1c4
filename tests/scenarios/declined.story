story A call declined on the phone: missed for presence, declined in the log
call A session=900000005021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status  |
| +0   | 2001      | A    | Ringing |
| +2.8 | 2001      | A    | NoCall  |

log A result=Rejected duration=2.8

expect 1 call
  A disposition=missed ring=2.8 talk=0 answered=none
confirmed
  A disposition=declined result=Rejected
