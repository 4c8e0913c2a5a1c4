story 2015 payloads: the extension is a number, times end in +0000
style 2015
start 2015-06-01T12:00:00Z
call A session=70000000001 direction=in from=14155550123 to=16505551001

| time   | extension | call | status        | notes |
| +0.001 | 607457016 | A    | Ringing       |       |
| +2.5   | 607457016 | A    | CallConnected |       |
| +3.75  | 607457016 | A    | OnHold        |       |
| +10    | 607457016 | A    | CallConnected |       |
| +12    | 607457016 | A    | NoCall        | to="" |

expect 1 call
  A ext=607457016 disposition=answered ring=2.499 talk=3.25 hold=6.25 started=+0.001 ended=+12 legs=1
