-- dbtune: 1
-- route: GET /businesses, GET /businesses/id/{id}, GET /businesses/ref/{ref} and 4 more
-- calls: 24
-- source: sqlalchemy
-- types:
-- - uuid
-- sets:
--   frequent: [2eda16ba-5415-4db7-824d-fdecaacc00c9]
--   rare: [ffff3ece-da33-49ca-8181-dd4092f477a7]
--   absent: [00b2a342-0d63-4fad-8416-fad86c16ed90]
SELECT partysvc.business_respondent.business_id, partysvc.business_respondent.respondent_id,
    partysvc.business_respondent.status, partysvc.business_respondent.effective_from,
    partysvc.business_respondent.effective_to, partysvc.business_respondent.created_on, respondent_1.id,
    respondent_1.party_uuid, respondent_1.status, respondent_1.email_address,
    respondent_1.pending_email_address, respondent_1.first_name, respondent_1.last_name,
    respondent_1.telephone, respondent_1.created_on
FROM partysvc.business_respondent
    JOIN partysvc.respondent AS respondent_1 ON respondent_1.id = partysvc.business_respondent.respondent_id
WHERE $1::UUID = partysvc.business_respondent.business_id
