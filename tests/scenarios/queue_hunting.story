story A queue hunts over five agents, one after the other; the fifth answers
call A session=900000013021 direction=in from=+14155550123 to=+16505550900 to-name="Support Queue" queue

| time   | extension | call | status        |
| +0     | 2001      | A    | Ringing       |
| +10    | 2001      | A    | NoCall        |
| +10.2  | 2002      | A    | Ringing       |
| +20.2  | 2002      | A    | NoCall        |
| +20.4  | 2003      | A    | Ringing       |
| +30.4  | 2003      | A    | NoCall        |
| +30.6  | 2004      | A    | Ringing       |
| +40.6  | 2004      | A    | NoCall        |
| +40.8  | 2005      | A    | Ringing       |
| +44    | 2005      | A    | CallConnected |
| +104.5 | 2005      | A    | NoCall        |

expect 1 call
  A direction=in disposition=answered ring=44 talk=60.5 hold=0 to=+16505550900 queue=1 legs=5 ext=2005
  A started=+0 answered=+44 ended=+104.5 internal=0
