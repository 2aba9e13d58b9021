# Costlens reads your AWS bill through one role. It may read the cost reports below one folder of one bucket, and see which
# reports exist; it may create, change and delete nothing. Destroying this ends the access at once. The same as the
# CloudFormation template.

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

variable "create_export" {
  type        = bool
  description = "Makes a new bucket and the recommended export in it (CUR 2.0, Parquet, hourly, with resources and IAM principals). Only with a provider of us-east-1, and only if you have no such report yet."
  default     = false
}

variable "export_name" {
  type        = string
  description = "The name of the export, if one is made."
  default     = "costlens"
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

# The recommended export, made by your own Terraform and never by Costlens. Off unless you ask for it. A bucket that holds
# reports is not destroyed with it: empty it first, if you want that.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_s3_bucket" "reports" {
  count  = var.create_export ? 1 : 0
  bucket = var.bucket_name
}

resource "aws_s3_bucket_public_access_block" "reports" {
  count                   = var.create_export ? 1 : 0
  bucket                  = aws_s3_bucket.reports[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  count  = var.create_export ? 1 : 0
  bucket = aws_s3_bucket.reports[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "reports" {
  count  = var.create_export ? 1 : 0
  bucket = aws_s3_bucket.reports[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "reports" {
  count  = var.create_export ? 1 : 0
  bucket = aws_s3_bucket.reports[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "LetAwsDeliver"
      Effect    = "Allow"
      Principal = { Service = ["billingreports.amazonaws.com", "bcm-data-exports.amazonaws.com"] }
      Action    = ["s3:PutObject", "s3:GetBucketPolicy"]
      Resource = [
        "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}",
        "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}/*",
      ]
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnLike = {
          "aws:SourceArn" = [
            "arn:${data.aws_partition.current.partition}:cur:us-east-1:${data.aws_caller_identity.current.account_id}:definition/*",
            "arn:${data.aws_partition.current.partition}:bcm-data-exports:us-east-1:${data.aws_caller_identity.current.account_id}:export/*",
          ]
        }
      }
    }]
  })
}

resource "aws_bcmdataexports_export" "costlens" {
  count      = var.create_export ? 1 : 0
  depends_on = [aws_s3_bucket_policy.reports]

  export {
    name        = var.export_name
    description = "Read by Costlens."

    data_query {
      # Columns by name: an export with * is refused, and would change under its reader.
      query_statement = trimspace(replace(<<-SQL
        SELECT bill_bill_type, bill_billing_entity, bill_billing_period_end_date,
        bill_billing_period_start_date, bill_invoice_id, bill_invoicing_entity, bill_payer_account_id,
        bill_payer_account_name, cost_category, discount, identity_line_item_id, identity_time_interval,
        line_item_currency_code, line_item_iam_principal, line_item_legal_entity,
        line_item_line_item_description, line_item_line_item_type, line_item_net_unblended_cost,
        line_item_operation, line_item_product_code, line_item_resource_id, line_item_unblended_cost,
        line_item_usage_account_id, line_item_usage_account_name, line_item_usage_amount,
        line_item_usage_end_date, line_item_usage_start_date, line_item_usage_type,
        line_item_user_identifier, pricing_currency, pricing_public_on_demand_cost,
        pricing_purchase_option, pricing_term, pricing_unit, product,
        product_instance_type, product_pricing_unit, product_product_family, product_region_code,
        product_servicecode, product_usagetype, reservation_amortized_upfront_fee_for_billing_period,
        reservation_effective_cost, reservation_net_amortized_upfront_fee_for_billing_period,
        reservation_net_effective_cost, reservation_net_unused_amortized_upfront_fee_for_billing_period,
        reservation_net_unused_recurring_fee, reservation_reservation_a_r_n,
        reservation_unused_amortized_upfront_fee_for_billing_period, reservation_unused_recurring_fee,
        resource_tags, savings_plan_net_savings_plan_effective_cost, savings_plan_offering_type,
        savings_plan_savings_plan_a_r_n, savings_plan_savings_plan_effective_cost,
        savings_plan_total_commitment_to_date, savings_plan_used_commitment, tags FROM COST_AND_USAGE_REPORT
      SQL
      , "\n", " "))
      # The provider wants all of a table's settings once it has one.
      table_configurations = {
        COST_AND_USAGE_REPORT = {
          BILLING_VIEW_ARN                      = "arn:${data.aws_partition.current.partition}:billing::${data.aws_caller_identity.current.account_id}:billingview/primary"
          TIME_GRANULARITY                      = "HOURLY"
          INCLUDE_RESOURCES                     = "TRUE"
          INCLUDE_IAM_PRINCIPAL_DATA            = "TRUE"
          INCLUDE_SPLIT_COST_ALLOCATION_DATA    = "FALSE"
          INCLUDE_MANUAL_DISCOUNT_COMPATIBILITY = "FALSE"
        }
      }
    }

    destination_configurations {
      s3_destination {
        s3_bucket = var.bucket_name
        s3_prefix = var.prefix
        s3_region = "us-east-1"

        s3_output_configurations {
          output_type = "CUSTOM"
          format      = "PARQUET"
          compression = "PARQUET"
          overwrite   = "OVERWRITE_REPORT"
        }
      }
    }

    refresh_cadence {
      frequency = "SYNCHRONOUS"
    }
  }
}
