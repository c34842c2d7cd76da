# Every command, with torch:
#   docker build -f docker/full.Dockerfile -t enct5 .
#   docker run -v .:/home/enct5/work enct5 train work/tickets.csv --text text --label label --out work/runs/tickets
FROM python:3.12-slim
WORKDIR /enct5
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt ".[check,excel,hpo,onnx,peft,serve,train]"
RUN useradd --create-home enct5
USER enct5
WORKDIR /home/enct5
EXPOSE 8080
ENTRYPOINT ["enct5"]
CMD ["--help"]
