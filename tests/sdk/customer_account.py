"""Makes a customer's AWS account, and ours, in a running moto with AWS' official SDK.

Reads `{url, account, role, trust, policy, bucket, region, files: {key: text}}` from standard input. Afterwards moto holds
every request against the policies of whoever makes it. Writes `{id, secret}`: keys of a user of ours that may assume
roles, and nothing else.
"""
import json
import sys
import urllib.request

import boto3

task = json.load(sys.stdin)


def client(service, keys):
    return boto3.client(service, endpoint_url=task["url"], region_name=task["region"], **keys)


def role_keys():
    given = client("sts", ANYBODY).assume_role(RoleArn=task["role"], RoleSessionName="set-up")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


# Until policies are enforced anybody may do anything, in the account that the keys belong to.
ANYBODY = {"aws_access_key_id": "AKIASETUP", "aws_secret_access_key": "none"}
customer = role_keys()
name = task["role"].rsplit("/", 1)[1]
iam = client("iam", customer)
iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(task["trust"]))
iam.put_role_policy(RoleName=name, PolicyName="reports", PolicyDocument=json.dumps(task["policy"]))
s3 = client("s3", customer)
s3.create_bucket(Bucket=task["bucket"], CreateBucketConfiguration={"LocationConstraint": task["region"]})
for key, text in task["files"].items():
    s3.put_object(Bucket=task["bucket"], Key=key, Body=text.encode())

ours = client("iam", ANYBODY)
ours.create_user(UserName="costlens")
may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
ours.put_user_policy(UserName="costlens", PolicyName="assume", PolicyDocument=policy)
keys = ours.create_access_key(UserName="costlens")["AccessKey"]

enforced = urllib.request.Request(
    task["url"] + "/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"}
)
urllib.request.urlopen(enforced).close()
json.dump({"id": keys["AccessKeyId"], "secret": keys["SecretAccessKey"]}, sys.stdout)
