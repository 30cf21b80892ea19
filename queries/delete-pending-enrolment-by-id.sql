-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}
-- calls: 15
-- source: sqlalchemy
-- types:
-- - integer
-- sets:
--   frequent: ['38']
--   rare: ['92']
DELETE FROM partysvc.pending_enrolment WHERE partysvc.pending_enrolment.id = $1
