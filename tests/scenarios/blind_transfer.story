story Answered by one, handed over to another without a word
call A session=900000016021 direction=in from=+14155550123 to=+16505551001

| time  | extension | call | status        |
| +0    | 2001      | A    | Ringing       |
| +4    | 2001      | A    | CallConnected |
| +30   | 2002      | A    | Ringing       |
| +30.2 | 2001      | A    | NoCall        |
| +36   | 2002      | A    | CallConnected |
| +96   | 2002      | A    | NoCall        |

log A result=Accepted duration=96

expect 1 call
  A direction=in internal=0 disposition=answered ring=4 talk=92 hold=0 legs=2 ext=2001 started=+0 answered=+4 ended=+96
confirmed
  A disposition=answered result=Accepted
