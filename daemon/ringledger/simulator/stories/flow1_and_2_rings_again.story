# The same session rings again 6.2 s later under a new leg id: one answered call, not two.
story The tutorial's flows 1 and 2: missed ring, then answered
style 2015
start 2015-04-10T18:48:55.133Z

call A session=67029198021 direction=in from=13027430863 to=18885434778

| time         | extension | seq    | call | status        | notes                                           |
| 18:48:55.133 | 607457016 | 133702 | A    | Ringing       | uuid=2b5bb8c0-c36c-46af-bd93-fb41e330d87c id=8ad4d5ea165f4e2aa00474a666368728 |
| 18:49:14.679 | 607457016 | 133857 | A    | NoCall        | uuid=a5a876ab-3356-41e5-b1fe-fff91da3a281       |
| 18:49:20.858 | 607457016 | 133897 | A    | Ringing       | uuid=c394ccf6-85dd-4da4-a87e-d31fac7f1283 id=61803278cbf74d7490539a6174a6c094 |
| 18:49:26.687 | 607457016 | 133942 | A    | CallConnected | uuid=96df6fdd-a2a4-42fb-bc34-cffb5d637754       |
| 18:49:41.828 | 607457016 | 134051 | A    | NoCall        | uuid=7fa7ac3c-5b7b-4127-88ec-9734f478d4a3 to="" |

expect 1 call
  A direction=in disposition=answered ring=31.554 talk=15.141 hold=0 duration=15.141 from=+13027430863 to=+18885434778
  A started=18:48:55.133 answered=18:49:26.687 ended=18:49:41.828 legs=2 ext=607457016
