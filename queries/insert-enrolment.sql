-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}
-- calls: 15
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- - text
-- - partysvc.enrolmentstatus
-- - timestamp without time zone
-- sets:
--   frequent: [47099fbf-215d-4a5f-b683-7608f18c21d5, '10564', f994f49d-43b4-41f1-931f-2589101bcb39, ENABLED, '2019-01-30 12:00:00']
INSERT INTO partysvc.enrolment (business_id, respondent_id, survey_id, status, created_on) VALUES ($1::UUID,
    $2, $3, $4, $5)
