-- dbtune: 1
-- route: PUT /respondents/id/{id}
-- calls: 1
-- source: sqlalchemy
-- types:
-- - text
-- - integer
-- sets:
--   frequent: [01633 000000, '9276']
UPDATE partysvc.respondent SET telephone=$1 WHERE partysvc.respondent.id = $2
