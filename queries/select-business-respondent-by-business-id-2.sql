-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}
-- calls: 15
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- sets:
--   absent: [47099fbf-215d-4a5f-b683-7608f18c21d5, '10564']
SELECT partysvc.business_respondent.business_id, partysvc.business_respondent.respondent_id,
    partysvc.business_respondent.status, partysvc.business_respondent.effective_from,
    partysvc.business_respondent.effective_to, partysvc.business_respondent.created_on, respondent_1.id,
    respondent_1.party_uuid, respondent_1.status AS status_1, respondent_1.email_address,
    respondent_1.pending_email_address, respondent_1.first_name, respondent_1.last_name,
    respondent_1.telephone, respondent_1.created_on AS created_on_1
FROM partysvc.business_respondent
    JOIN partysvc.respondent AS respondent_1 ON respondent_1.id = partysvc.business_respondent.respondent_id
WHERE partysvc.business_respondent.business_id = $1::UUID AND partysvc.business_respondent.respondent_id = $2
