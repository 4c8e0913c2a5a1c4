story The tutorial's flow 1: a missed inbound call
style 2015
start 2015-04-10T18:48:55.133Z

call A session=67029198021 direction=in from=13027430863 to=18885434778 id=8ad4d5ea165f4e2aa00474a666368728

| time         | extension | seq    | call | status  | notes                                     |
| 18:48:55.133 | 607457016 | 133702 | A    | Ringing | uuid=2b5bb8c0-c36c-46af-bd93-fb41e330d87c |
| 18:49:14.679 | 607457016 | 133857 | A    | NoCall  | uuid=a5a876ab-3356-41e5-b1fe-fff91da3a281 |

expect 1 call
  A direction=in disposition=missed ring=19.546 talk=0 hold=0 duration=0 from=+13027430863 to=+18885434778
  A started=18:48:55.133 answered=none ended=18:49:14.679 legs=1 ext=607457016 internal=0
