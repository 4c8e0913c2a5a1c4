story The tutorial's flow 2 in another order, with repetitions
style 2015
start 2015-04-10T18:49:20.858Z

call A session=67029198021 direction=in from=13027430863 to=18885434778 id=61803278cbf74d7490539a6174a6c094

| time         | extension | seq    | call | status        | notes                                           |
| 18:49:20.858 | 607457016 | 133897 | A    | Ringing       | uuid=c394ccf6-85dd-4da4-a87e-d31fac7f1283       |
| 18:49:26.687 | 607457016 | 133942 | A    | CallConnected | uuid=96df6fdd-a2a4-42fb-bc34-cffb5d637754       |
| 18:49:41.828 | 607457016 | 134051 | A    | NoCall        | uuid=7fa7ac3c-5b7b-4127-88ec-9734f478d4a3 to="" |

order 2 3 2 1 3

expect 1 call
  A direction=in disposition=answered ring=5.829 talk=15.141 hold=0 duration=15.141 from=+13027430863 to=+18885434778
  A started=18:49:20.858 answered=18:49:26.687 ended=18:49:41.828 legs=1 ext=607457016 internal=0
ignored
  duplicate=2 stale_sequence=1
