# Costlens reads your AWS bill through one role. It may read the cost reports below one folder of one bucket, and see which
# reports exist; it may create, change and delete nothing. Destroying this ends the access at once. The same as the
# CloudFormation template, without the optional export.

variable "external_id" {
  type        = string
  description = "From Costlens. It is made for you and is no secret; nobody gets in without it."
}

variable "bucket_name" {
  type        = string
  description = "The bucket that holds the report."
}

variable "prefix" {
  type        = string
  description = "The folder in the bucket below which the report lies, without slashes at its ends."

  validation {
    condition     = length(trim(var.prefix, "/")) > 0 && trim(var.prefix, "/") == var.prefix
    error_message = "A folder of the bucket, without slashes at its ends."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "The key in AWS KMS that the report's files are encrypted with, if there is one."
  default     = ""
}

variable "assumer_role_arn" {
  type        = string
  description = "The role of Costlens that is let in. Leave it as it is."
  default     = "arn:aws:iam::000000000000:role/costlens-assumer"
}

locals {
  statements = jsondecode(<<-JSON
    [
      {
        "Sid": "ReadReports",
        "Effect": "Allow",
        "Action": [
          "s3:GetObject"
        ],
        "Resource": "arn:aws:s3:::${var.bucket_name}/${var.prefix}/*"
      },
      {
        "Sid": "ListReports",
        "Effect": "Allow",
        "Action": [
          "s3:ListBucket"
        ],
        "Resource": "arn:aws:s3:::${var.bucket_name}",
        "Condition": {
          "StringLike": {
            "s3:prefix": [
              "${var.prefix}",
              "${var.prefix}/*"
            ]
          }
        }
      },
      {
        "Sid": "FindBucket",
        "Effect": "Allow",
        "Action": [
          "s3:GetBucketLocation"
        ],
        "Resource": "arn:aws:s3:::${var.bucket_name}"
      },
      {
        "Sid": "SeeWhatIsExported",
        "Effect": "Allow",
        "Action": [
          "bcm-data-exports:GetExport",
          "bcm-data-exports:ListExports",
          "cur:DescribeReportDefinitions"
        ],
        "Resource": "*"
      }
    ]
  JSON
  )

  with_key = jsondecode(<<-JSON
    [
      {
        "Sid": "DecryptReports",
        "Effect": "Allow",
        "Action": [
          "kms:Decrypt"
        ],
        "Resource": "${var.kms_key_arn}",
        "Condition": {
          "StringLike": {
            "kms:ViaService": "s3.*.amazonaws.com"
          }
        }
      }
    ]
  JSON
  )
}

resource "aws_iam_role" "costlens_bill_reader" {
  name                 = "CostlensBillReader"
  description          = "Lets Costlens read cost reports, and nothing else."
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "LetCostlensIn"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.assumer_role_arn }
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
}

resource "aws_iam_role_policy" "read_cost_reports" {
  name = "ReadCostReports"
  role = aws_iam_role.costlens_bill_reader.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.statements, var.kms_key_arn == "" ? [] : local.with_key)
  })
}

output "role_arn" {
  value = aws_iam_role.costlens_bill_reader.arn
}
