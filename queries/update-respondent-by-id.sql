-- dbtune: 1
-- route: PUT /respondents/id/{id}
-- calls: 1
-- source: sqlalchemy
-- types:
-- - text
-- - integer
-- sets:
--   frequent: [Powell-Smith, '9276']
UPDATE partysvc.respondent SET last_name=$1 WHERE partysvc.respondent.id = $2
