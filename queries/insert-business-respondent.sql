-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}
-- calls: 15
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- - partysvc.businessrespondentstatus
-- - timestamp without time zone
-- - timestamp without time zone
-- - timestamp without time zone
-- sets:
--   frequent: [47099fbf-215d-4a5f-b683-7608f18c21d5, '10564', ACTIVE, '2019-01-30 12:00:00', null, '2019-01-30 12:00:00']
INSERT INTO partysvc.business_respondent (business_id, respondent_id, status, effective_from, effective_to,
    created_on) VALUES ($1::UUID, $2, $3, $4, $5, $6)
