story The lamp of a colleague's line is no call of ours
call A session=900000026021 direction=in from=+14155550123 to=+16505551001
call B session=900000026121 direction=in from=+14155550456 to=+16505551002

| time | extension | call | status        | notes     |
| +0   | 2001      | A    | Ringing       |           |
| +2   | 2001      | B    | Ringing       | monitored |
|      |           | A    | Ringing       |           |
| +3   | 2001      | A    | CallConnected |           |
|      |           | B    | Ringing       | monitored |
| +9   | 2001      | A    | NoCall        |           |

expect 1 call
  A disposition=answered ring=3 talk=6 from=+14155550123
ignored
  monitored=2
