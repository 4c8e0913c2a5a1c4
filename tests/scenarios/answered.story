story An answered inbound call, today's payload
call A session=900000002021 direction=in from=+14155550123 from-name="A Caller" to=+16505551001 to-name="Ann Archer"

| time   | extension | call | status        |
| +0     | 2001      | A    | Ringing       |
| +4.5   | 2001      | A    | CallConnected |
| +64.75 | 2001      | A    | NoCall        |

log A result=Accepted duration=64.75

expect 1 call
  A direction=in disposition=answered ring=4.5 talk=60.25 hold=0 duration=60.25 from=+14155550123 to=+16505551001
  A started=+0 answered=+4.5 ended=+64.75 legs=1 ext=2001 internal=0 queue=0
confirmed
  A disposition=answered result=Accepted duration=64.75
