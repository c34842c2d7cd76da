# Serves an exported model, without torch:
#   enct5 export runs/intents intents-onnx
#   docker build -f docker/runtime.Dockerfile -t enct5-runtime .
#   docker run -p 8080:8080 -v ./intents-onnx:/model:ro enct5-runtime
FROM python:3.12-slim
WORKDIR /enct5
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt ".[runtime,serve]"
RUN useradd --create-home enct5
USER enct5
WORKDIR /home/enct5
EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health')"]
ENTRYPOINT ["enct5", "serve"]
CMD ["/model", "--host", "0.0.0.0"]
