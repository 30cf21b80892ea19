-- dbtune: 1
-- route: GET /businesses/ref/{ref}, POST /businesses, GET /parties/type/{type}/ref/{ref} and 1 more
-- calls: 12
-- source: sqlalchemy
-- types:
-- - text
-- - integer
-- sets:
--   frequent: ['49361447697', '1']
--   rare: ['49423084130', '1']
--   absent: ['00000000000', '1']
SELECT anon_1.partysvc_business_party_uuid AS anon_1_partysvc_business_party_uuid,
    anon_1.partysvc_business_business_ref AS anon_1_partysvc_business_business_ref,
    anon_1.partysvc_business_created_on AS anon_1_partysvc_business_created_on,
    business_attributes_1.id AS business_attributes_1_id,
    business_attributes_1.business_id AS business_attributes_1_business_id,
    business_attributes_1.sample_summary_id AS business_attributes_1_sample_summary_id,
    business_attributes_1.collection_exercise AS business_attributes_1_collection_exercise,
    business_attributes_1.attributes AS business_attributes_1_attributes,
    business_attributes_1.created_on AS business_attributes_1_created_on
FROM (SELECT partysvc.business.party_uuid AS partysvc_business_party_uuid,
    partysvc.business.business_ref AS partysvc_business_business_ref,
    partysvc.business.created_on AS partysvc_business_created_on
FROM partysvc.business
WHERE partysvc.business.business_ref = $1
 LIMIT $2) AS anon_1
    LEFT OUTER JOIN partysvc.business_attributes AS business_attributes_1 ON anon_1.partysvc_business_party_uuid = business_attributes_1.business_id ORDER BY business_attributes_1.created_on DESC
