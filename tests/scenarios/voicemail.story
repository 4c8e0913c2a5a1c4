story A call that goes to voicemail
call A session=900000006021 direction=in from=+14155550123 to=+16505551001

| time  | extension | call | status  |
| +0    | 2001      | A    | Ringing |
| +20.1 | 2001      | A    | NoCall  |

log A result=Voicemail duration=20.1

expect 1 call
  A disposition=missed ring=20.1 talk=0
confirmed
  A disposition=voicemail result=Voicemail talk=0
