# Half a minute after its end the same session lives again: the same row, amended.
story A finished call comes back to life
call A session=900000030021 direction=in from=+14155550123 to=+16505551001

| time | extension | call | status        | notes  |
| +0   | 2001      | A    | Ringing       | id=one |
| +10  | 2001      | A    | NoCall        | id=one |
wait 30s
| +40  | 2001      | A    | Ringing       | id=two |
| +43  | 2001      | A    | CallConnected | id=two |
| +60  | 2001      | A    | NoCall        | id=two |

expect 1 call
  A disposition=answered ring=43 talk=17 started=+0 answered=+43 ended=+60 legs=2
