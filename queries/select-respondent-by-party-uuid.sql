-- dbtune: 1
-- route: PUT /respondents/edit-account-status/{id}, PUT /respondents/id/{id}, PUT /respondents/change_enrolment_status and 2 more
-- calls: 19
-- source: sqlalchemy
-- types:
-- - uuid
-- - integer
-- sets:
--   frequent: [c479da92-7edd-4a2b-9061-833f446dc276, '1']
--   rare: [aec6b305-5bd0-4483-aa9e-7d7c314fedee, '1']
--   absent: [00000000-0000-4000-8000-000000000000, '1']
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
WHERE partysvc.respondent.party_uuid = $1::UUID
 LIMIT $2
