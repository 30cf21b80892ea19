-- dbtune: 1
-- route: GET /respondents/email, PUT /respondents/id/{id}
-- calls: 5
-- source: sqlalchemy
-- types:
-- - text
-- - integer
-- sets:
--   frequent: [oscar.powell9276@garsideengineeringltd.example, '1']
--   rare: [hannah.vaughan12000@wyattservicesltd.example, '1']
--   absent: [nobody@nowhere.example, '1']
SELECT partysvc.respondent.id AS partysvc_respondent_id,
    partysvc.respondent.party_uuid AS partysvc_respondent_party_uuid,
    partysvc.respondent.status AS partysvc_respondent_status,
    partysvc.respondent.email_address AS partysvc_respondent_email_address,
    partysvc.respondent.pending_email_address AS partysvc_respondent_pending_email_address,
    partysvc.respondent.first_name AS partysvc_respondent_first_name,
    partysvc.respondent.last_name AS partysvc_respondent_last_name,
    partysvc.respondent.telephone AS partysvc_respondent_telephone,
    partysvc.respondent.created_on AS partysvc_respondent_created_on
FROM partysvc.respondent
WHERE lower(partysvc.respondent.email_address) = $1
 LIMIT $2
