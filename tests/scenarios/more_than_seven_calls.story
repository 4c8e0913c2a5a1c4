# The array is cut at seven. H is never seen alive: only its end is, and that it began with the others.
story Eight calls at once at the switchboard
call A session=900000022011 direction=in from=+14155550101 to=+16505551001
call B session=900000022012 direction=in from=+14155550102 to=+16505551001
call C session=900000022013 direction=in from=+14155550103 to=+16505551001
call D session=900000022014 direction=in from=+14155550104 to=+16505551001
call E session=900000022015 direction=in from=+14155550105 to=+16505551001
call F session=900000022016 direction=in from=+14155550106 to=+16505551001
call G session=900000022017 direction=in from=+14155550107 to=+16505551001
call H session=900000022018 direction=in from=+14155550108 to=+16505551001 start=+0

| time | extension | call | status        |
| +0   | 2001      | A    | Ringing       |
|      |           | B    | Ringing       |
|      |           | C    | Ringing       |
|      |           | D    | Ringing       |
|      |           | E    | Ringing       |
|      |           | F    | Ringing       |
|      |           | G    | Ringing       |
|      |           | H    | Ringing       |
| +5   | 2001      | A    | CallConnected |
|      |           | B    | Ringing       |
|      |           | C    | Ringing       |
|      |           | D    | Ringing       |
|      |           | E    | Ringing       |
|      |           | F    | Ringing       |
|      |           | G    | Ringing       |
|      |           | H    | Ringing       |
| +20  | 2001      | B    | NoCall        |
|      |           | C    | NoCall        |
|      |           | D    | NoCall        |
|      |           | E    | NoCall        |
|      |           | F    | NoCall        |
|      |           | G    | NoCall        |
|      |           | H    | NoCall        |
|      |           | A    | CallConnected |
| +65  | 2001      | A    | NoCall        |

expect 8 calls
  A disposition=answered ring=5 talk=60 ended=+65
  B disposition=missed ring=20 talk=0 ended=+20
  C disposition=missed ring=20
  D disposition=missed ring=20
  E disposition=missed ring=20
  F disposition=missed ring=20
  G disposition=missed ring=20 from=+14155550107
  H disposition=unknown ring=none talk=0 started=+0 ended=+20 from=+14155550108
