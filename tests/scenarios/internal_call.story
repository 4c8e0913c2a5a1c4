story One extension calls another: two legs, one call
call A session=900000011021 direction=out from=101 from-name="Ann Archer" to=102 to-name="Ben Okafor"
leg A/callee direction=in

| time  | extension | call     | status        |
| +0    | 2001      | A        | Ringing       |
| +0.1  | 2002      | A/callee | Ringing       |
| +6    | 2002      | A/callee | CallConnected |
| +6.1  | 2001      | A        | CallConnected |
| +36   | 2001      | A        | NoCall        |
| +36.2 | 2002      | A/callee | NoCall        |

expect 1 call
  A direction=out internal=1 disposition=answered ring=6 talk=30.2 hold=0 from=101 to=102 legs=2 ext=2001
  A started=+0 answered=+6 ended=+36.2
