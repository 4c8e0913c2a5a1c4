story Withheld and blank numbers stay unknown
call A session=900000028021 direction=in from=anonymous to=+16505551001
call B session=900000028121 direction=in from="" to=+16505551001

| time | extension | call | status  |
| +0   | 2001      | A    | Ringing |
| +8   | 2001      | A    | NoCall  |
| +60  | 2001      | B    | Ringing |
| +69  | 2001      | B    | NoCall  |

expect 2 calls
  A disposition=missed from=none to=+16505551001 ring=8
  B disposition=missed from=none to=+16505551001 ring=9
