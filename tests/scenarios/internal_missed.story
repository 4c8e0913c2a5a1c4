story One extension calls another in vain
call A session=900000011121 direction=out from=101 to=102
leg A/callee direction=in

| time  | extension | call     | status  |
| +0    | 2001      | A        | Ringing |
| +0.1  | 2002      | A/callee | Ringing |
| +20   | 2002      | A/callee | NoCall  |
| +20.1 | 2001      | A        | NoCall  |

expect 1 call
  A direction=out internal=1 disposition=no_answer ring=20.1 talk=0 legs=2 ext=2001 ended=+20.1
