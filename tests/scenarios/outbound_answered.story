story An outbound call that is answered
call A session=900000003021 direction=out from=+16505551001 to=+14155550123

| time  | extension | call | status        |
| +0    | 2001      | A    | Ringing       |
| +7.2  | 2001      | A    | CallConnected |
| +31.7 | 2001      | A    | NoCall        |

expect 1 call
  A direction=out disposition=answered ring=7.2 talk=24.5 hold=0 from=+16505551001 to=+14155550123
  A started=+0 answered=+7.2 ended=+31.7 legs=1 ext=2001
