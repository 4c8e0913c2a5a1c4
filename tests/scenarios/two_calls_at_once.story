story A second call comes in while the first goes on
call A session=900000010021 direction=in from=+14155550123 to=+16505551001
call B session=900000010121 direction=in from=+14155550456 to=+16505551001

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +2   | 2001      | A    | CallConnected |
| +10  | 2001      | B    | Ringing       |
|      |           | A    | CallConnected |
| +15  | 2001      | B    | CallConnected |
|      |           | A    | OnHold        |
| +35  | 2001      | B    | NoCall        |
|      |           | A    | OnHold        |
| +36  | 2001      | A    | CallConnected |
| +50  | 2001      | A    | NoCall        |

expect 2 calls
  A disposition=answered ring=2 talk=27 hold=21 from=+14155550123 started=+0 answered=+2 ended=+50 legs=1
  B disposition=answered ring=5 talk=20 hold=0 from=+14155550456 started=+10 answered=+15 ended=+35 legs=1
