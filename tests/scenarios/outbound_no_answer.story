story An outbound call nobody answers
call A session=900000004021 direction=out from=+16505551001 to=+14155550123

| time  | extension | call | status  |
| +0    | 2001      | A    | Ringing |
| +29.4 | 2001      | A    | NoCall  |

log A result="No Answer" duration=29.4

expect 1 call
  A direction=out disposition=no_answer ring=29.4 talk=0 hold=0 answered=none ended=+29.4
confirmed
  A disposition=no_answer result="No Answer"
