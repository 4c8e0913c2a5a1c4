story Two subscriptions deliver everything twice
call A session=900000025021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        | notes |
| +0   | 2001      | A    | Ringing       | twice |
| +3   | 2001      | A    | CallConnected | twice |
| +9   | 2001      | A    | NoCall        | twice |

expect 1 call
  A disposition=answered ring=3 talk=6 legs=1
ignored
  duplicate=3
