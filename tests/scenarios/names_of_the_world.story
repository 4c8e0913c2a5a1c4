story Names with accents, quotes, other scripts and a picture
call A session=900000029021 direction=in from=+14155550123 from-name="Zoë 📞 O'Brien" to=+16505551001 to-name="王小明"

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
| +3   | 2001      | A    | CallConnected |
| +9   | 2001      | A    | NoCall        |

expect 1 call
  A from-name="Zoë 📞 O'Brien" to-name="王小明" disposition=answered ring=3 talk=6
