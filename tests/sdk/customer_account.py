"""Makes a customer's AWS account, and ours, in a running moto with AWS' official SDK.

Reads `{url, role, template, parameters, bucket, region, files: {key: text}}` from standard input: the role is what
CloudFormation makes of the template. Afterwards moto holds every request against the policies of whoever makes it. Writes
`{id, secret, trust, policy, session_seconds}`: keys of a user of ours that may assume roles, and nothing else; and what was
made of the template.
"""
import ast
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
parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in task["parameters"].items()]
client("cloudformation", customer).create_stack(
    StackName="Costlens", TemplateBody=task["template"], Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"]
)
role = iam.get_role(RoleName=name)["Role"]
[policy_name] = iam.list_role_policies(RoleName=name)["PolicyNames"]
permissions = iam.get_role_policy(RoleName=name, PolicyName=policy_name)["PolicyDocument"]
# moto keeps what CloudFormation gave it as Python writes it, and could not judge by that.
permissions = ast.literal_eval(permissions) if isinstance(permissions, str) else permissions
iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=json.dumps(permissions))
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
made = {"trust": role["AssumeRolePolicyDocument"], "policy": permissions, "session_seconds": role["MaxSessionDuration"]}
json.dump({"id": keys["AccessKeyId"], "secret": keys["SecretAccessKey"], **made}, sys.stdout)
