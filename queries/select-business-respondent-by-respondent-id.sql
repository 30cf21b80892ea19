-- dbtune: 1
-- route: GET /respondents, PUT /respondents/id/{id}, GET /parties/type/{type}/id/{id} and 2 more
-- calls: 15
-- source: sqlalchemy
-- types:
-- - integer
-- sets:
--   frequent: ['9276']
--   rare: ['1190']
--   absent: ['12000']
SELECT partysvc.business_respondent.business_id, partysvc.business_respondent.respondent_id,
    partysvc.business_respondent.status, partysvc.business_respondent.effective_from,
    partysvc.business_respondent.effective_to, partysvc.business_respondent.created_on
FROM partysvc.business_respondent
WHERE $1 = partysvc.business_respondent.respondent_id
