story A status nobody has heard of changes nothing
call A session=900000023021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +3   | 2001      | A    | CallConnected |
| +5   | 2001      | A    | Levitating    |
| +9   | 2001      | A    | NoCall        |

expect 1 call
  A disposition=answered ring=3 talk=6 hold=0
ignored
  unknown_status=1
